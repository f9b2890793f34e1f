import { describe, expect, it } from 'vitest'
import * as z from 'zod'
import { readSettings } from '../src/runtime/settings.ts'
import { traceSettings, tracesOf } from '../src/runtime/trace-settings.ts'
import { isSampled } from '../src/runtime/traceparent.ts'

const read = (env: Record<string, string>) => tracesOf(readSettings(env, z.object(traceSettings)))

describe('settings of traces', () => {
  it('without an endpoint are none', () => {
    expect(read({ OTEL_TRACES_RATIO: '1', OTEL_EXPORTER_OTLP_ENDPOINT: ' ' })).toBeUndefined()
  })

  it('are read as OpenTelemetry writes them', () => {
    expect(
      read({
        OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/otlp/',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20a=b, x-scope=sluice,',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=pr%C3%BCfung',
      }),
    ).toEqual({
      url: 'https://collector:4318/otlp/v1/traces',
      headers: { authorization: 'Bearer a=b', 'x-scope': 'sluice' },
      attributes: { 'deployment.environment.name': 'prüfung' },
      ratio: 0.01,
    })
  })

  it.each(['0', '1', '0.25', '.5', '1.0'])('take %s as a ratio', (ratio) => {
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector', OTEL_TRACES_RATIO: ratio }
    expect(read(env)?.ratio).toBe(Number(ratio))
  })

  it.each([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ftp://collector'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization'],
    ['OTEL_EXPORTER_OTLP_HEADERS', '=a-secret'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=a-secret%'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=a-secret%0a'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'authorization=a-secret-%C3%BC'],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a b=c'],
    ['OTEL_TRACES_RATIO', '1.5'],
    ['OTEL_TRACES_RATIO', '1%'],
  ])('name %s if it is %s, and show no value', (name, value) => {
    expect(() => read({ [name]: value })).toThrow(
      expect.objectContaining({ message: expect.stringMatching(new RegExp(`- ${name} (?!.*secret)`)) }),
    )
  })
})

it.each([
  ['01', true],
  ['03', true],
  ['0b', true],
  ['00', false],
  ['0a', false],
  ['', false],
  ['01-more', false],
])('a traceparent with the flags %j is sampled: %s', (flags, expected) => {
  expect(isSampled(`00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`)).toBe(expected)
})
