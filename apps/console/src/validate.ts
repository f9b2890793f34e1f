import { describeIssues, inWords } from '@sluice/shared/operations'
import type { FastifySchemaCompiler } from 'fastify'
import * as z from 'zod'
import { Problem } from './errors.ts'

/** Reads parameters, query and body of a request by their schemas, and says in words what is wrong with them. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema }) => {
  return (given) => {
    const read = z.safeParse(schema, given, { error: inWords })
    if (read.success) return { value: read.data }
    return { error: new Problem(400, `${describeIssues(read.error).join('; ')}.`) }
  }
}
