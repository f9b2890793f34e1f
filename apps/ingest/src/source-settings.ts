import {
  allowedIpsSetting,
  type Credential,
  credentialSettings,
  credentials,
  credentialsSetting,
  DEFAULT_SOURCES,
  type Env,
  namesOf,
  networks,
  type Source,
} from '@sluice/shared/runtime'
import * as z from 'zod'

/** A value of each source, by its name. */
export type OfSource<T> = Readonly<Record<string, T>>

/** The credentials of the sources. They may change while an ingest runs. */
export const credentialsShape = (sources: readonly Source[]) =>
  z.object(credentialSettings(namesOf(sources), credentials))

export const allowedIpsShape = (sources: readonly Source[]) =>
  z.object(Object.fromEntries(sources.map(({ name }) => [allowedIpsSetting(name), networks])))

export const credentialsFrom = (
  sources: readonly Source[],
  settings: OfSource<readonly Credential[]>,
): OfSource<readonly Credential[]> => perSource(sources, (name) => settings[credentialsSetting(name)] ?? [])

/** @param common the addresses that may post to a source without a list of its own */
export const allowedIpsFrom = (
  sources: readonly Source[],
  settings: OfSource<readonly string[]>,
  common: readonly string[],
): OfSource<readonly string[]> =>
  perSource(sources, (name) => {
    const own = settings[allowedIpsSetting(name)] ?? []
    return own.length > 0 ? own : common
  })

/** The settings with credentials for which there is no source: perhaps it was forgotten. */
export function strayCredentials(env: Env, sources: readonly Source[]): string[] {
  // Both of the usual ones are set wherever somebody has begun without other sources.
  const known = namesOf([...DEFAULT_SOURCES, ...sources]).map(credentialsSetting)
  const given = Object.keys(env).filter((name) => env[name] && /^IDWISE_.+_CREDENTIALS(_FILE)?$/.test(name))
  return given.filter((name) => !known.includes(name.replace(/_FILE$/, '')))
}

export function perSource<T>(sources: readonly Source[], make: (name: string) => T): OfSource<T> {
  return Object.fromEntries(sources.map(({ name }) => [name, make(name)]))
}
