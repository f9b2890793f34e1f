/** The queue's name in BullMQ. Each shard is a queue with this name under a prefix of its own. */
const QUEUE_NAME = 'events'

/** The hash tag puts all keys of a shard into one slot of a Redis Cluster, and the shards into different ones. */
export const shardPrefix = (prefix: string, shard: number) => `{${prefix}-${shard}}`

/**
 * Every key of one shard, by BullMQ's names and ours. No other file spells the name of a key.
 *
 * @param prefix of the shard; see `shardPrefix`
 * @param name of the queue; the check's probe has a queue of its own
 */
export function queueKeys(prefix: string, name: string = QUEUE_NAME) {
  const queue = `${prefix}:${name}:`
  const job = (id: string) => queue + id
  return {
    name,
    prefix,
    /** The start of every key of the queue: BullMQ's scripts and ours append a job's id to it. */
    queue,
    /** A hash; its fields are `FIELD`. */
    job,
    /** Holds the token of the worker that has claimed the job. */
    lock: (id: string) => job(id) + LOCK,

    // Lists of ids, new ones on the left.
    wait: `${queue}wait`,
    active: `${queue}active`,
    paused: `${queue}paused`,
    // Sorted sets of ids: by time, and `prioritized` by priority.
    delayed: `${queue}delayed`,
    completed: `${queue}completed`,
    failed: `${queue}failed`,
    prioritized: `${queue}prioritized`,
    waitingChildren: `${queue}waiting-children`,
    /** Set of ids that were active at the last check for stalled jobs. */
    stalled: `${queue}stalled`,
    /** Hash of the queue's own settings; its fields are `META`. */
    meta: `${queue}meta`,
    /** Sorted set that workers block on. */
    marker: `${queue}marker`,
    /** Stream of what happens to jobs. */
    events: `${queue}events`,

    // Ours.
    /** Ids whose hash was gone when they were claimed, by the time of that. */
    missing: `${queue}missing`,
    /** The score in `completed` up to which the bodies have been removed. */
    stripped: `${queue}stripped`,
    none: `${queue}${NO_KEY}`,
    /** Hash of deliveries that found their job in the queue. Its older name stays, since the release before uses it. */
    redeliveries: `${prefix}:collapsed`,
    redeliveriesNone: `${prefix}:collapsed:${NO_KEY}`,
    /** Gone, or another one, after Redis was emptied. */
    canary: `${prefix}:canary`,
    /** Since when people have been told that Postgres is away; gone once Postgres knows it. */
    told: `${prefix}:told`,
  }
}

/**
 * The end of a key that never exists. A script that names it is refused as a whole while its slot moves between nodes
 * of a cluster: otherwise it would find some of its keys and miss others. A script deletes it before its first write:
 * that needs no memory, and a full Redis lets a script go on that has written.
 */
const NO_KEY = 'none'

/** What follows a job's key. */
export const LOCK = ':lock'
export const LOGS = ':logs'

/** The fields of a job's hash that are read or written here. */
export const FIELD = {
  /** The delivery id that made the job; see `redeliveries.ts`. */
  name: 'name',
  /** JSON text. */
  data: 'data',
  /** When it was added, claimed and finished: Unix ms. */
  timestamp: 'timestamp',
  processedOn: 'processedOn',
  finishedOn: 'finishedOn',
  /** Tries that counted, and tries that were started. */
  attemptsMade: 'atm',
  attemptsStarted: 'ats',
  /** How often the job was active while its worker no longer held the lock. */
  stalledCounter: 'stc',
  /** Set when it has stalled too often: the next worker that claims the job fails it with this text. */
  deferredFailure: 'defa',
  failedReason: 'failedReason',
} as const

/** The switches of a queue that the scripts honour. */
export const META = { paused: 'paused', concurrency: 'concurrency', max: 'max' } as const

/** How BullMQ's script `moveStalledJobsToWait` explains the failure of a job that has stalled too often. */
const STALLED_FAILURE = 'job stalled more than allowable limit'

export const isStalledFailure = (reason: string) => reason === STALLED_FAILURE
