import type { createAudit } from '@sluice/shared/db'
import type { DeadLetterRow, EventRow, JourneyRow } from '@sluice/simulator'
import { expectTypeOf, test } from 'vitest'

type Audit = ReturnType<typeof createAudit>
type Columns<Table extends keyof Audit> =
  ReturnType<Audit[Table]> extends AsyncGenerator<infer Row> ? keyof Row : never

// The compiler checks this: the simulator imports nothing of the tables, so that its judgement is its own.
test('verify reads the columns that the audit has, and no others', () => {
  expectTypeOf<Columns<'events'>>().toEqualTypeOf<keyof EventRow>()
  expectTypeOf<Columns<'journeys'>>().toEqualTypeOf<keyof JourneyRow>()
  expectTypeOf<Columns<'deadLetters'>>().toEqualTypeOf<keyof DeadLetterRow>()
})
