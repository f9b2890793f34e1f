/**
 * Every command that our scripts, BullMQ's and the ingest send, complete with arguments. `$` begins a key, by the type
 * of its value. Each line can run on what the lines before it have left.
 */
const IN_SCRIPTS = `
set $string 1 PX 1000 NX
get $string
mget $string
exists $string
type $string
pttl $string
incr $string
hset $hash a 1
hmset $hash a 1
hincrby $hash b 1
hget $hash a
hmget $hash a
hgetall $hash
hexists $hash a
hscan $hash 0
hdel $hash a
lpush $list 1
rpush $list 1
rpoplpush $list $list
llen $list
lindex $list 0
lpos $list 1
lrange $list 0 -1
ltrim $list 0 -1
rpop $list
lrem $list 0 1
sadd $set 1
smembers $set
srem $set 1
zadd $sorted 1 1
zcard $sorted
zrange $sorted 0 0
zrevrange $sorted 0 0
zrangebyscore $sorted 0 1
zrevrangebyscore $sorted 1 0
zscore $sorted 1
zpopmin $sorted
zrem $sorted 1
xadd $stream MAXLEN ~ 10 * event probe
xtrim $stream MAXLEN ~ 10
del $string`

/** Redis runs none of these in a script. */
const OUTSIDE_OF_SCRIPTS = `
eval return 1 $string
evalsha 0 1 $string
bzpopmin $sorted 0`

/** The types of keys, in the order in which `ALL_IN_ONE_SCRIPT` takes them. */
export const KEY_TYPES = ['string', 'hash', 'list', 'set', 'sorted', 'stream'] as const

/** Runs every command that a script may run, and leaves nothing. */
export const ALL_IN_ONE_SCRIPT = [
  ...linesOf(IN_SCRIPTS).map((words) => `redis.call(${words.map(luaOf).join()})`),
  `redis.call('del', unpack(KEYS))`,
].join('\n')

/** Each command, all on one key: enough for Redis to check the rights to them. */
export function allCommandsOn(key: string): string[][] {
  const commands = linesOf(IN_SCRIPTS + OUTSIDE_OF_SCRIPTS)
  return commands.map((words) => words.map((word) => (word.startsWith('$') ? key : word)))
}

function linesOf(text: string): string[][] {
  const lines = text.trim().split('\n')
  return lines.map((line) => line.split(' '))
}

function luaOf(word: string): string {
  const type = (KEY_TYPES as readonly string[]).indexOf(word.slice(1))
  return word.startsWith('$') ? `KEYS[${type + 1}]` : `'${word}'`
}
