import { open, rename } from 'node:fs/promises'

/** Writes to a temporary file, syncs and renames it. Mode 0600. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
