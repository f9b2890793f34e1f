import { classifyFailure, isNotMigrated } from '@sluice/shared/db'
import { errorCode, UserError } from '@sluice/shared/runtime'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
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

/** What is wrong with a request or with a store, in words. */
export function describeProblem(error: unknown): { status: number; words: string } {
  if (error instanceof Problem) return { status: error.status, words: error.message }
  if (error instanceof UserError) return { status: 400, words: error.message }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const [issue] = error.validation
    const name = issue?.instancePath.replaceAll('/', ' ').trim()
    return {
      status: 400,
      words: `${name ? `${name}: ` : ''}${issue?.message ?? 'The request is not valid'}.`,
    }
  }
  if (errorCode(error) === '57014') {
    return {
      status: 503,
      words: 'This took longer than 2 seconds, so it was stopped. Narrow it down, or try again.',
    }
  }
  if (isNotMigrated(error))
    return { status: 503, words: 'The database is not migrated. Run `sluice migrate`.' }
  if (classifyFailure(error) === 'infrastructure' || /timeout|terminated/i.test(String(error))) {
    return { status: 503, words: 'The database does not answer.' }
  }
  if (/\b(Redis|Connection is closed|Command timed out|writeable|max retries)\b/i.test(String(error))) {
    return { status: 503, words: 'Redis does not answer.' }
  }
  const { statusCode } = error as { statusCode?: number }
  if (statusCode !== undefined && statusCode < 500)
    return { status: statusCode, words: 'The request is not valid.' }
  return { status: 500, words: 'This page failed. The log of the console says why.' }
}
