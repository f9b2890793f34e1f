import { userInfo } from 'node:os'

/** Who runs this process: the name, or the number where there is none, as in a container under an arbitrary user id. */
export function whoIsThis(env: Readonly<Record<string, string | undefined>> = process.env): string {
  try {
    return userInfo().username
  } catch {
    return env.USER || String(process.getuid?.() ?? 'unknown')
  }
}
