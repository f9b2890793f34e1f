/** The steps at which `npm run chaos` makes a process crash, in the order in which an event passes them. */
const FAILPOINTS = [
  'ingest-after-auth',
  'ingest-before-add',
  'ingest-after-add',
  'ingest-after-inbox',
  'ingest-after-reply',
  'worker-after-claim',
  'worker-before-transaction',
  'worker-in-transaction',
  'worker-after-commit',
  'worker-after-dead-letter',
  'sweeper-after-insert',
  'replay-in-transaction',
  'operation-in-transaction',
  'migrate-while-preparing',
  'migrate-prepared',
  'migrate-bounded',
  'migrate-in-middle',
  'retention-after-step',
  'archive-without-manifest',
  'erase-after-request',
  'erase-after-rows',
  'erase-after-jobs',
  'erase-after-files',
  'alert-claimed',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

let armed: { name: string; left: number } | undefined

/**
 * Arms one failpoint of this process, from `SLUICE_FAILPOINT=name[:nth]`: when it is passed for the n-th time, the
 * process kills itself with SIGKILL. Only tests set it.
 */
export function armFailpoint(setting: string | undefined): void {
  const [name = '', nth = '1'] = (setting ?? '').split(':')
  armed = name === '' ? undefined : { name, left: Number(nth) }
}

/** Passes a step. It costs one comparison if nothing is armed. */
export function failpoint(name: Failpoint): void {
  if (armed?.name === name && --armed.left === 0) process.kill(process.pid, 'SIGKILL')
}
