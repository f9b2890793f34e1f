import {
  actOnDeadLetters,
  compareConflict,
  countDeadLetters,
  curlOfLetter,
  describeIssues,
  findGroups,
  getDeadLetter,
  inWords,
  knownEnvironments,
  type LetterFilter,
  listActions,
  listDeadLetters,
  NEWER_COUNTED,
  newOperation,
  type OperationKind,
  type Preview,
  planOperation,
  previewLetters,
  receivedInLetter,
  runbookOf,
  startOperation,
} from '@sluice/shared/operations'
import * as z from 'zod'
import type { App, ConsoleDeps } from '../context.ts'
import { Problem } from '../errors.ts'
import { letterQuery, readFilter, readState } from '../letter-query.ts'
import { type ActForm, actDialog, actPage, EMPTY_FORM, KIND_NAMES } from '../pages/act.ts'
import { deadLetterPage } from '../pages/dead-letter.ts'
import { deadLetterGroupsPage } from '../pages/dead-letter-groups.ts'
import { deadLettersPage } from '../pages/dead-letters.ts'
import { listPath } from '../parts/letter-paths.ts'
import { changed, newer } from '../parts/newer.ts'
import { mayAct, requireOperator } from '../roles.ts'
import { idParams, pageOf, pageQuery } from '../schemas.ts'
import { sendBytes, sendPage, sendReceipt } from './reply.ts'

const hidden = { hide: true }
const PAGE = 50
const PREVIEWED = 5

const kind = z.enum(['replay', 'discard', 'undo'])
const actQuery = letterQuery.extend({ kind })
const actForm = actQuery.extend({
  expected: z.coerce.number().int().min(0),
  mode: z.string().optional(),
  sample: z.string().optional(),
  rate: z.string().optional(),
  stopAfter: z.string().optional(),
  /** The reason of the person; `reason` is that of the letters. */
  why: z.string().optional(),
})

const liveQuery = letterQuery.extend({
  view: z.enum(['groups', 'list']),
  top: z.coerce.number<string>().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** How many were open, of the page of groups. */
  open: z.coerce.number<string>().int().min(0).optional(),
})

export function addDeadLetters(app: App, { stores, actStores, live, readNow }: ConsoleDeps): void {
  const { db } = stores

  const listQuery = letterQuery.extend({ view: z.string().optional(), ...pageQuery.shape })
  app.get('/dead-letters', { schema: { ...hidden, querystring: listQuery } }, async (request, reply) => {
    const { view, before, ...query } = request.query
    if (view !== 'list') {
      const [newest] = await listDeadLetters(db, { limit: 1 })
      const groups = await findGroups(db)
      const body = deadLetterGroupsPage(groups, { mayAct: mayAct(request), top: newest?.id ?? 0 })
      return sendPage(request, reply, { title: 'Dead letters', body })
    }
    const which = { state: readState(query), filter: readFilter(query) }
    const [found, total, environments] = await Promise.all([
      listDeadLetters(db, { ...which, limit: PAGE + 1, before }),
      countDeadLetters(db, which),
      knownEnvironments(stores),
    ])
    const { items: letters, next: older } = pageOf(found, PAGE)
    const shown = { letters, total, ...which, environments, before, older, mayAct: mayAct(request) }
    const body = deadLettersPage(shown)
    return sendPage(request, reply, { title: 'Dead letters', body })
  })

  app.get('/live/dead-letters', { schema: { ...hidden, querystring: liveQuery } }, (request, reply) => {
    const { view, top, open, ...query } = request.query
    const which = { state: readState(query), filter: readFilter(query), after: top }
    const href = view === 'groups' ? '/dead-letters' : listPath(which.state ?? 'all', which.filter)
    const region = async () => {
      const { count } = await countDeadLetters(db, which, NEWER_COUNTED)
      const isFewer = count === 0 && open !== undefined && (await openNow()) < open
      return isFewer ? changed('Fewer are open now', href) : newer(count, href)
    }
    live.stream(
      `dead letters ${new URLSearchParams({ to: href, top: String(top), open: String(open) })}`,
      region,
      reply,
    )
  })

  /** How many are open, as the state knows it; that does not count many. */
  async function openNow(): Promise<number> {
    const open = (await readNow()).state.figures.recorded?.deadLetters.open
    return !open || open.isMore ? Number.POSITIVE_INFINITY : open.count
  }

  app.get('/dead-letters/:id', { schema: { ...hidden, params: idParams } }, async (request, reply) => {
    const { id } = request.params
    const [letter, actions] = await Promise.all([
      letterOf(id),
      listActions(db, { target: `dead_letter ${id}` }, { limit: PAGE }),
    ])
    const conflict = await compareConflict(stores, letter)
    const curl = curlOfLetter(letter)
    const shown = { actions, conflict, curl, runbook: runbookOf(letter.reason), mayAct: mayAct(request) }
    return sendPage(request, reply, { title: `Dead letter ${id}`, body: deadLetterPage(letter, shown) })
  })

  app.get('/dead-letters/:id/raw', { schema: { ...hidden, params: idParams } }, async (request, reply) => {
    const { id } = request.params
    return sendBytes(reply, `dead-letter-${id}`, (await letterOf(id)).raw)
  })

  app.get(
    '/dead-letters/:id/receipt',
    { schema: { ...hidden, params: idParams } },
    async (request, reply) => {
      const received = receivedInLetter(await letterOf(request.params.id))
      if (!received) throw new Problem(404, 'Its envelope cannot be read, so there is no receipt.')
      return sendReceipt(reply, received)
    },
  )

  async function letterOf(id: number) {
    const letter = await getDeadLetter(db, id)
    if (!letter) throw new Problem(404, `There is no dead letter ${id}. Retention may have deleted it.`)
    return letter
  }

  async function ask(asked: { kind: OperationKind; filter: LetterFilter }) {
    const plan = await planOperation(actStores.db, asked)
    if (!plan) throw new Problem(422, 'Choose dead letters first: this would be about all of them.')
    const state = asked.kind === 'undo' ? 'discarded' : 'open'
    const [preview, [newest]] = await Promise.all([
      previewLetters(actStores.db, { ...asked, sample: PREVIEWED }).catch(
        (): Preview | undefined => undefined,
      ),
      listDeadLetters(actStores.db, { state, filter: asked.filter, limit: 1 }),
    ])
    return { ...asked, plan, preview, newest }
  }

  app.get('/dead-letters/act', { schema: { ...hidden, querystring: actQuery } }, async (request, reply) => {
    requireOperator(request)
    const { kind, ...query } = request.query
    const shown = { ...(await ask({ kind, filter: readFilter(query) })), form: EMPTY_FORM }
    return sendPage(request, reply, {
      title: `${KIND_NAMES[kind]} dead letters`,
      body: actPage(shown),
      part: { id: 'beside', body: actDialog(shown) },
    })
  })

  app.post('/dead-letters/act', { schema: { ...hidden, body: actForm } }, async (request, reply) => {
    const actor = requireOperator(request)
    const { kind, expected, ...fields } = request.body
    const { filter, form } = readForm(fields)
    const again = async (status: number, problem: string) => {
      const body = actPage({ ...(await ask({ kind, filter })), form, problem })
      return sendPage(request, reply, { title: `${KIND_NAMES[kind]} dead letters`, body, status })
    }
    const read = newOperation.safeParse(
      { kind, filter, expected, ...numbersOf(form, kind, expected) },
      { error: inWords },
    )
    if (!read.success) return again(400, `${describeIssues(read.error).join('; ')}. Nothing was done.`)
    const [id, second] = filter.ids ?? []
    if (id !== undefined && second === undefined && Object.keys(filter).length === 1) {
      if (expected !== 1) {
        return again(409, `This is about 1 dead letter, and you have seen ${expected}. Nothing was done.`)
      }
      for await (const result of actOnDeadLetters(actStores.db, kind, {
        ids: [id],
        actor,
        reason: read.data.reason,
      })) {
        if (result.kind === 'not_found') throw new Problem(404, `There is no dead letter ${id}.`)
        if (result.kind !== 'done') {
          throw new Problem(409, `Dead letter ${id} is ${result.state}: somebody was faster.`)
        }
      }
      return reply.redirect(`/dead-letters/${id}`, 303)
    }
    const outcome = await startOperation(actStores.db, { ...read.data, actor })
    switch (outcome.kind) {
      case 'started':
        return reply.redirect(`/operations/${outcome.id}`, 303)
      case 'count_changed':
        return again(
          409,
          `There are ${outcome.count} now, and you have seen ${expected}. Nothing was done: look again, then confirm.`,
        )
      case 'under_way':
        throw new Problem(409, `Operation ${outcome.id} does this already.`)
      case 'nothing_to_do':
        return again(409, 'None is left: somebody was faster.')
      case 'empty_filter':
        throw new Problem(422, 'Choose dead letters first: this would be about all of them.')
      default:
        return outcome satisfies never
    }
  })
}

type Fields = Omit<z.infer<typeof actForm>, 'kind' | 'expected'>

function readForm({ mode, sample, rate, stopAfter, why, ...query }: Fields): {
  filter: LetterFilter
  form: ActForm
} {
  const form = {
    mode: mode ?? 'all',
    sample: sample ?? '',
    rate: rate ?? '',
    stopAfter: stopAfter ?? '',
    why: why ?? '',
  }
  return { filter: readFilter(query), form }
}

function numbersOf(form: ActForm, kind: OperationKind, expected: number) {
  const numberOf = (text: string) => (text.trim() === '' ? null : Number(text))
  const isReplay = kind === 'replay' && expected > 1
  return {
    sample: isReplay && form.mode === 'sample' ? numberOf(form.sample) : null,
    rate: expected > 1 ? numberOf(form.rate) : null,
    stopAfter: isReplay ? numberOf(form.stopAfter) : null,
    reason: form.why,
  }
}
