import { keyOf, type Letter, textOf, titleOf } from './message.ts'

/**
 * Sends one mail over a connection of its own, with TLS unless the server is on this machine. Nodemailer is loaded by
 * the first mail.
 */
export async function sendMail(
  { to, server, isLocal }: { to: string; server: URL; isLocal: boolean },
  message: Letter,
  stop: AbortSignal,
): Promise<void> {
  const { createTransport } = await import('nodemailer')
  const isTls = server.protocol === 'smtps:'
  const user = decodeURIComponent(server.username)
  const transport = createTransport({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: Number(server.port) || (isTls ? 465 : 587),
    secure: isTls,
    requireTLS: !isTls && !isLocal,
    ignoreTLS: !isTls && isLocal,
    connectionTimeout: LIMIT_MS,
    greetingTimeout: LIMIT_MS,
    socketTimeout: LIMIT_MS,
    ...(user && { auth: { user, pass: decodeURIComponent(server.password) } }),
  })
  const close = () => transport.close()
  stop.addEventListener('abort', close, { once: true })
  try {
    await transport.sendMail({
      from: user.includes('@') ? user : to,
      to,
      subject: titleOf(message).slice(0, 200),
      text: textOf(message),
      headers: { 'X-Sluice-Incident': keyOf(message) },
    })
  } finally {
    stop.removeEventListener('abort', close)
    close()
  }
}

const LIMIT_MS = 5_000
