import { isIP, isIPv4 } from 'node:net'

/** The address that a proxy names, which may carry a port, or be nothing of the kind. */
export function addressIn(text: string): string | undefined {
  if (isIPv4(text)) return text
  const bare =
    /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i.exec(text)?.[1] ?? /^\[(.+)\](?::\d+)?$/.exec(text)?.[1]
  // Of a zone nothing is known here but that somebody else chose its length.
  const address = (bare ?? text).replace(/%.*$/s, '')
  return isIP(address) > 0 ? address : undefined
}

/** What one sender can change at will counts as one: of an IPv6 address its first 64 bits. */
export function sourceOf(text: string): string {
  const address = addressIn(text) ?? ''
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  // Only the first four count; what `::` stands for lies before or within them where there are fewer.
  const rest = (tail ?? '').split(':').filter(Boolean)
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length
  const all = [...groups, ...Array<string>(Math.max(0, zeros)).fill('0'), ...rest]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
