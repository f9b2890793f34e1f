import { BlockList, isIP, isIPv4 } from 'node:net'
import * as z from 'zod'

// Node's own functions, since `ipaddr.js` takes four to twenty times as long to look an address up in a list.

/** The setting of a list of addresses and networks, such as `10.0.0.0/8, 2001:db8::/32`. */
export const networks = z
  .string()
  .transform((text) => text.split(/[\s,]+/).filter((entry) => entry !== ''))
  // Fastify would take a bare number as the number of proxies to trust.
  .refine((entries) => entries.every(networkIn), 'is not a list of networks in CIDR form, such as 10.0.0.0/8')
  .default([])

/** @returns whether an address, as a client or proxy names it, lies in one of the networks */
export function addressMatcher(entries: readonly string[]): (text: string) => boolean {
  const list = new BlockList()
  for (const network of entries.map(networkIn)) if (network) list.addSubnet(...network)
  return (text) => {
    const address = addressIn(text)
    return address !== undefined && list.check(address, familyOf(address))
  }
}

function networkIn(entry: string): [address: string, bits: number, family: 'ipv4' | 'ipv6'] | undefined {
  const [address = '', given, ...more] = entry.split('/')
  const family = familyOf(address)
  const most = family === 'ipv4' ? 32 : 128
  const bits = given === undefined ? most : /^\d+$/.test(given) ? Number(given) : Number.POSITIVE_INFINITY
  return isIP(address) > 0 && more.length === 0 && bits <= most ? [address, bits, family] : undefined
}

const familyOf = (address: string) => (isIPv4(address) ? 'ipv4' : 'ipv6')

/**
 * The address in a text of X-Forwarded-For, without its port and zone.
 *
 * @returns undefined if the text is no address
 */
export function addressIn(text: string): string | undefined {
  if (isIPv4(text)) return text
  const bare =
    /^(?:::ffff:)?(\d+\.\d+\.\d+\.\d+)(?::\d+)?$/i.exec(text)?.[1] ?? /^\[(.+)\](?::\d+)?$/.exec(text)?.[1]
  // A zone means nothing on this machine, and a stranger chose its length.
  const address = (bare ?? text).replace(/%.*$/s, '')
  return isIP(address) > 0 ? address : undefined
}

/**
 * The part of an address that its owner cannot change at will: all of an IPv4 address, the first 64 bits of an IPv6
 * address, which a provider hands out as one.
 */
export function sourceOf(text: string): string {
  const address = addressIn(text) ?? ''
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.split('::')
  const groups = head.split(':').filter(Boolean)
  // Fewer than four groups before `::` mean that it stands for some of the first four.
  const rest = (tail ?? '').split(':').filter(Boolean)
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length
  const all = [...groups, ...Array<string>(Math.max(0, zeros)).fill('0'), ...rest]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')
}
