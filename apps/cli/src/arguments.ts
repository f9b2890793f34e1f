import { InvalidArgumentError } from 'commander'

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

export function wholeNumberAboveZero(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.')
  return Number(text)
}

export function numberAboveZero(text: string): number {
  const number = Number(text)
  if (!(number > 0) || !Number.isFinite(number))
    throw new InvalidArgumentError('It must be a number above 0.')
  return number
}

export function seconds(text: string): number {
  const number = Number(text)
  if (!(number >= 0) || !Number.isFinite(number))
    throw new InvalidArgumentError('It must be a number of seconds.')
  return number
}

/** @returns ms */
export function duration(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([smh])$/.exec(text) ?? []
  const ms = Number(number) * (UNITS[unit] ?? Number.NaN)
  if (!(ms > 0)) throw new InvalidArgumentError('It must be a duration such as 90s, 10m or 1h.')
  return ms
}

export function personName(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must be a name.')
  return text.trim()
}
