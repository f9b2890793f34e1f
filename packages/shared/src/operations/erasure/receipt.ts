import { createPrivateKey, createPublicKey, hash, hkdfSync, type KeyObject, sign, verify } from 'node:crypto'
import * as z from 'zod'

const time = z.iso.datetime()
const hex = z.string().regex(/^[0-9a-f]*$/)
const count = z.int().min(0)

/**
 * Proof of one erasure, which may leave the house: it names nobody. Each receipt has the SHA-256 of the one before, so
 * that none can be changed or left out.
 */
const receiptSchema = z.strictObject({
  /** Of the chain, from 1. */
  number: z.int().min(1),
  /** SHA-256 of the receipt before; null for the first one. */
  previous: hex.nullable(),
  /** The number of its row in `erasures`. */
  erasure: z.int().min(1),
  kind: z.enum(['journey', 'reference']),
  /** HMAC-SHA-256 of what was erased: only this installation can find out what it was. */
  subjects: z.array(hex),
  actor: z.string(),
  reason: z.string().nullable(),
  requestedAt: time,
  /** When no query found anything any more. */
  erasedAt: time,
  /** When the files of the stores were rewritten; null if some could not be. */
  purgedAt: time.nullable(),
  /** What was deleted, by store. */
  counts: z.record(z.string(), count),
  /** Keys that stay, so that no redelivery lands: hashes, from which nothing can be computed. */
  tombstones: count,
  /** Copies that Sluice cannot reach, and how long they stay. */
  remains: z.array(z.strictObject({ where: z.string(), until: z.string() })),
  release: z.string(),
  /** Ed25519, as SPKI in base64. */
  publicKey: z.string(),
  /** Of all other fields, in base64. */
  signature: z.string(),
})

export type Receipt = z.infer<typeof receiptSchema>
export type Unsigned = Omit<Receipt, 'publicKey' | 'signature'>

export type ReceiptKey = { readonly private: KeyObject; readonly public: string }

/** "RFC 8410": what stands before the 32 bytes of a private key of Ed25519. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** @param secret of the installation */
export function receiptKey(secret: Buffer): ReceiptKey {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', 'sluice receipts', 32))
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' })
  const shown = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return { private: key, public: shown.toString('base64') }
}

export function signReceipt(unsigned: Unsigned, key: ReceiptKey): Receipt {
  const receipt = { ...unsigned, publicKey: key.public }
  return { ...receipt, signature: sign(null, bytesOf(receipt), key.private).toString('base64') }
}

/** @returns undefined if it is no receipt */
export function readReceipt(value: unknown): Receipt | undefined {
  return receiptSchema.safeParse(value).data
}

export function isSigned({ signature, ...receipt }: Receipt, publicKey = receipt.publicKey): boolean {
  if (receipt.publicKey !== publicKey) return false
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' })
    return verify(null, bytesOf(receipt), key, Buffer.from(signature, 'base64'))
  } catch {
    return false
  }
}

/** What the next receipt has as `previous`. Hex. */
export function hashOfReceipt(receipt: Receipt): string {
  return hash('sha256', bytesOf(receipt), 'hex')
}

/** The same bytes for the same receipt, wherever it was stored: with sorted names, and without blanks. */
function bytesOf(value: unknown): Buffer {
  return Buffer.from(
    JSON.stringify(value, (_, inner) =>
      inner !== null && typeof inner === 'object' && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ),
  )
}
