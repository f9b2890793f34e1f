import type { FastifyRequest } from 'fastify'
import { Problem } from './errors.ts'

/** Whether the person who asks may act. The guard refuses what is posted; pages show no buttons. */
export function mayAct({ user }: FastifyRequest): boolean {
  return user?.role === 'operator'
}

/** @returns the name for the audit */
export function requireOperator(request: FastifyRequest): string {
  if (!request.user || !mayAct(request)) {
    throw new Problem(403, 'Only an operator may do this; you are a viewer.')
  }
  return request.user.name
}
