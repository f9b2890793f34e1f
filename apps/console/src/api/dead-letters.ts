import { sha256 } from '@sluice/shared/idwise'
import {
  compareConflict,
  countDeadLetters,
  curlOfLetter,
  findGroups,
  getDeadLetter,
  listActions,
  listDeadLetters,
} from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { letterQuery, readFilter, readState } from '../letter-query.ts'
import { apiPageQuery, idParams, pageOf } from '../schemas.ts'
import { actionReply } from './action-reply.ts'
import { changeSchema, failuresSchema, letterSchema, toJson } from './json.ts'
import { operationReply, toOperation } from './operation-reply.ts'
import { nextPath, time } from './replies.ts'

const text = z.string().nullable()
const MOST_ACTS = 50

const letterReply = letterSchema.extend({
  errorClass: z.string(),
  fingerprint: z.string(),
  operationId: z.number().nullable(),
})

const list = z.object({
  items: z.array(letterReply),
  next: text,
  total: z.number(),
  isAtLeast: z.boolean().describe('There are more than `total`.'),
})

const groups = z.object({
  items: z.array(
    z.object({
      fingerprint: z.string(),
      count: z.number(),
      journeys: z.number(),
      firstFailedAt: time,
      lastFailedAt: time,
      hours: z
        .array(z.number())
        .describe('How many failed in each of the last 24 hours, the current one last.'),
      example: z.object({
        id: z.number(),
        environment: text,
        event: text,
        reason: z.string(),
        errorClass: z.string(),
        errorMessage: z.string(),
      }),
      runbook: text,
      past: z.array(operationReply),
      acts: z
        .array(
          z.object({
            letter: z.number(),
            at: time,
            actor: z.string(),
            action: z.string(),
            reason: text,
          }),
        )
        .describe('What persons did to single letters that failed alike.'),
    }),
  ),
  next: z.null(),
  total: z.number().describe('Groups.'),
  letters: z.number(),
  isAtLeast: z.boolean().describe('There are more letters than were counted.'),
})

export function addDeadLettersApi(api: App, { stores }: ConsoleDeps): void {
  const { db } = stores
  const querystring = letterQuery.extend(apiPageQuery.shape)
  api.get(
    '/dead-letters',
    { schema: { summary: 'Dead letters, newest first', querystring, response: { 200: list } } },
    async ({ query: { limit, before, ...query }, url }) => {
      const which = { state: readState(query), filter: readFilter(query) }
      const [found, { count, isAtLeast }] = await Promise.all([
        listDeadLetters(db, { ...which, limit: limit + 1, before }),
        countDeadLetters(db, which),
      ])
      const { items, next } = pageOf(found, limit)
      return { items: toJson(items), next: nextPath(url, next), total: count, isAtLeast }
    },
  )

  const one = letterReply.extend({
    failures: failuresSchema,
    raw: z.string().describe('The body, as base64.'),
    curl: z.string(),
    sha256: z.string().describe('Of the body, hex.'),
    conflict: z
      .object({ eventKey: z.string(), changes: z.array(changeSchema).nullable() })
      .nullable()
      .describe('How the body differs from the one that has landed under the same id.'),
    acts: z.array(actionReply).describe('What people did to it, the newest first, at most 50.'),
  })
  api.get(
    '/dead-letters/:id',
    { schema: { summary: 'A dead letter with its body', params: idParams, response: { 200: one } } },
    async ({ params: { id } }) => {
      const [letter, acts] = await Promise.all([
        getDeadLetter(db, id),
        listActions(db, { target: `dead_letter ${id}` }, { limit: MOST_ACTS }),
      ])
      if (!letter) throw new Problem(404, `There is no dead letter ${id}.`)
      const found = await compareConflict(stores, letter)
      const conflict =
        found?.kind === 'compared'
          ? { eventKey: found.eventKey, changes: found.changes && [...found.changes] }
          : null
      const hash = sha256(letter.raw).toString('hex')
      return {
        ...toJson(letter),
        eventKey: letter.eventKey?.toString('hex') ?? null,
        sha256: hash,
        curl: curlOfLetter(letter),
        conflict,
        acts: toJson(acts),
      }
    },
  )

  api.get(
    '/dead-letter-groups',
    { schema: { summary: 'Open dead letters by what they failed with', response: { 200: groups } } },
    async () => {
      const { groups: found, ...sums } = await findGroups(db)
      const items = found.map((group) => ({
        ...group,
        hours: [...group.hours],
        firstFailedAt: group.firstFailedAt.toISOString(),
        lastFailedAt: group.lastFailedAt.toISOString(),
        past: group.past.map(toOperation),
        acts: group.acts.map((act) => ({ ...act, at: act.at.toISOString() })),
      }))
      return { items, next: null, ...sums }
    },
  )
}
