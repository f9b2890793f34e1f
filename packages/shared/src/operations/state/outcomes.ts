/** The requests that the ingest does not refuse: values of the label `outcome` of `sluice_answers_total`. */
export const NOT_REFUSED = ['accepted', 'test'] as const

/** Its other values, in words. `isSentAgain`: IDWise sends the event again; the others are what strangers sent. */
const REFUSALS = {
  unauthorised: { words: 'wrong credentials', isSentAgain: false },
  too_large: { words: 'too large', isSentAgain: false },
  bad_request: { words: 'broken requests', isSentAgain: false },
  too_many: { words: 'too many at once', isSentAgain: true },
  unavailable: { words: 'no store', isSentAgain: true },
  failed: { words: 'failed', isSentAgain: true },
} as const

export type RefusedOutcome = keyof typeof REFUSALS
/** How a request ended. */
export type AnswerOutcome = (typeof NOT_REFUSED)[number] | RefusedOutcome

const entries = Object.entries(REFUSALS)

/** The words for each. A minute that another release has counted may have others. */
export const REFUSED: Readonly<Record<string, string>> = Object.fromEntries(
  entries.map(([outcome, { words }]) => [outcome, words]),
)

export const SENT_AGAIN: readonly string[] = entries.flatMap(([outcome, { isSentAgain }]) =>
  isSentAgain ? [outcome] : [],
)
