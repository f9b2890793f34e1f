import { describeError } from './errors.ts'

/** Why a store cannot be used, and what to do about it, for the operator. */
export type Cause = { readonly text: string; readonly advice: string }

const UNTRUSTED = /SELF_SIGNED_CERT|UNABLE_TO_(VERIFY|GET_ISSUER)|CERT_(UNTRUSTED|SIGNATURE|REJECTED)/

/**
 * The cause of an error of the network or of TLS, for any store. Undefined if the error comes from the store.
 *
 * @param setting the name of the setting that has the address of the store
 */
export function networkCause(error: unknown, setting: string): Cause | undefined {
  const { code = '', message } = describeError(error)
  const because = (text: string, advice: string): Cause => ({ text: `${text} (${code})`, advice })
  const correct = `correct the address in ${setting}.`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return because('its host is not found', `Fix the name service, or ${correct}`)
  if (code === 'ECONNREFUSED') return because('the connection is refused', `Start it, or ${correct}`)
  if (code === 'EHOSTUNREACH' || code === 'ENETUNREACH')
    return because('there is no way to its host', `Fix the network, or ${correct}`)
  if (code === 'ETIMEDOUT')
    return because(message.replace(/\s*ETIMEDOUT\s*/, ' timed out').trim(), `Start it, or ${correct}`)
  if (code === 'ECONNRESET' || code === 'EPIPE')
    return because('the connection is closed', `See whether ${setting} must ask for TLS, or must not.`)
  if (UNTRUSTED.test(code)) {
    const advice = 'Name a file with the certificate of its authority in NODE_EXTRA_CA_CERTS.'
    return because('its certificate is not trusted', advice)
  }
  if (code.startsWith('CERT_') || code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return because(`its certificate is refused: ${message}`, 'Renew it for this host.')
  if (code.startsWith('ERR_SSL') || code === 'EPROTO')
    return because('it does not speak TLS like this client', `See whether ${setting} must ask for TLS.`)
  return undefined
}
