import { classifyFailure, isNotMigrated } from '@sluice/shared/db'
import { errorCode, UserError } from '@sluice/shared/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { page } from './layout.ts'
import { problemPage } from './pages/problem.ts'

/** What a request cannot have, in words for the person who asks. */
export class Problem extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** Answers a request that failed: as a page, as a part of one, or as JSON. @returns the status */
export function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): number {
  const { status, words } = describeProblem(error)
  reply.code(status)
  if (status === 429) reply.header('retry-after', '900')
  if (status === 503) reply.header('retry-after', '5')
  if (!isPageWanted(request)) {
    reply.type('application/json; charset=utf-8').serializer(JSON.stringify).send({ error: words })
    return status
  }
  const body = problemPage({ status, words, retry: request.method === 'GET' ? request.url : undefined })
  const whole = request.headers['hx-request'] === undefined
  reply.type('text/html; charset=utf-8').send(String(whole ? page(request, { title: words, body }) : body))
  return status
}

function isPageWanted({ url, headers }: FastifyRequest): boolean {
  return !url.startsWith('/api/') && (headers.accept?.includes('text/html') ?? false)
}

const REFUSED: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: 'The body is no JSON.',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'The body is empty.',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'The body must be JSON, or a form.',
  FST_ERR_CTP_BODY_TOO_LARGE: 'The body is longer than 64 kB.',
}

/** What is wrong with a request or with a store, in words. */
export function describeProblem(error: unknown): { status: number; words: string } {
  if (error instanceof Problem) return { status: error.status, words: error.message }
  if (error instanceof UserError) return { status: 400, words: error.message }
  const code = errorCode(error) ?? ''
  if (code === '57014') {
    return {
      status: 503,
      words: 'This took longer than 2 seconds, so it was stopped. Narrow it down, or try again.',
    }
  }
  if (isNotMigrated(error))
    return { status: 503, words: 'The database is not migrated. Run `npx sluice migrate`.' }
  if (classifyFailure(error) === 'infrastructure' || /timeout|terminated/i.test(String(error))) {
    return { status: 503, words: 'The database does not answer.' }
  }
  if (/\b(Redis|Connection is closed|Command timed out|writeable|max retries)\b/i.test(String(error))) {
    return { status: 503, words: 'Redis does not answer.' }
  }
  const { statusCode } = error as { statusCode?: number }
  if (statusCode !== undefined && statusCode < 500)
    return { status: statusCode, words: REFUSED[code] ?? 'The request is not valid.' }
  return { status: 500, words: 'This page failed. The log of the console says why.' }
}
