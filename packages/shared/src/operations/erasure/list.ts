import { type Db, type Erasure, listErasures, readInstallation } from '../../db/index.ts'
import { receiptKey } from './receipt.ts'

/** All erasures, and the key with which anybody can check their receipts. */
export async function readErasures(db: Db): Promise<{ publicKey: string; erasures: Erasure[] }> {
  const { secret } = await readInstallation(db.pool)
  return { publicKey: receiptKey(secret).public, erasures: await listErasures(db) }
}
