import { userInfo } from 'node:os'
import type { Env } from '@sluice/shared/runtime'

/**
 * The user that runs this process: its name, or its number if it has no name, as in a container with an arbitrary
 * user id.
 */
export function whoIsThis(env: Env = process.env): string {
  try {
    return userInfo().username
  } catch {
    return env.USER || String(process.getuid?.() ?? 'unknown')
  }
}
