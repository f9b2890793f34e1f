/**
 * The numbers of an advisory lock. Each landing transaction shares it, and then reads the number of requests to erase.
 * So a transaction that began to land before an erasure was requested holds the lock, and each later one knows of the
 * erasure. The erasure waits for the former, and blocks nobody.
 */
const LOCK = { class: 1_936_485_747, object: 1 }

/** SQL: shares the lock until the transaction ends. */
export const SHARE_FENCE = `select pg_advisory_xact_lock_shared(${LOCK.class}, ${LOCK.object})`

/** SQL: the transactions that hold the lock, by a name that no later transaction has. */
export const FENCE_HOLDERS = `select array(select virtualtransaction from pg_locks where locktype = 'advisory'
  and database = (select oid from pg_database where datname = current_database())
  and classid = ${LOCK.class} and objid = ${LOCK.object} and objsubid = 2 and granted) as holders`

/**
 * SQL, of one value: a number that has gone up since an erasure was committed. It is read like a function, since the
 * planning of a query would take a tenth of a millisecond of each batch.
 */
export const ERASURES_REQUESTED = `coalesce(pg_sequence_last_value(to_regclass('erasures_requested')), 0)::float8`

/** SQL, after the commit of the erasure, and again if a process has died in between. */
export const REQUEST_ERASURE = `select nextval('erasures_requested')`
