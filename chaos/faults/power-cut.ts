import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { World } from '../world.ts'
import type { Fault } from './fault.ts'

/**
 * A library that takes the place of two system calls of Redis. After each sync it writes down the length of the
 * append-only file when the sync began, and the number of syncs. A power cut would lose everything behind that length.
 */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long syncs;

static int synced(const char *name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  char link[64], path[4096] = "", text[64];
  struct stat before;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  int known = fstat(fd, &before) == 0 && length > 0 && strstr(path, ".incr.aof") && getenv("SYNCED_FILE");
  int result = real(fd);
  if (known && result == 0) {
    int out = open(getenv("SYNCED_FILE"), O_WRONLY | O_CREAT, 0600);
    int size = snprintf(text, sizeof text, "%020lld %020ld\\n", (long long)before.st_size, ++syncs);
    if (pwrite(out, text, size, 0) != size) abort();
    close(out);
  }
  return result;
}

int fsync(int fd) { return synced("fsync", fd); }
int fdatasync(int fd) { return synced("fdatasync", fd); }
`

export const powerCut: Fault = {
  id: 'F07',
  name: 'power cut: Redis killed and its file cut to what had been synced',
  seconds: 4,
  world: { prepare: compileShim },
  impossible() {
    if (process.platform !== 'linux') return 'the library that notes syncs is written for Linux'
    return compiler() ? undefined : `there is no C compiler (${COMPILERS.join(', ')})`
  },
  async inject(world) {
    // Jobs must wait in Redis, or a cut could lose nothing.
    for (const worker of world.fleet.workers()) worker.running.kill('SIGSTOP')
    await pause(2_500)
    world.trace('waitingAtCut', (await world.admin.counts()).waiting)
    await world.redis.kill()
    await cut(world)
    await world.redis.start()
  },
  async heal({ redis, fleet }) {
    if (!redis.isRunning) await redis.start()
    for (const worker of fleet.workers()) worker.running.kill('SIGCONT')
  },
  effect: { waitingAtCut: 50, syncs: 10 },
}

const COMPILERS = ['cc', 'gcc', 'clang', 'tcc']

function compiler(): string | undefined {
  return COMPILERS.find((name) => spawnSync(name, ['-v']).status === 0)
}

async function compileShim(dir: string): Promise<Record<string, string>> {
  const source = join(dir, 'synced.c')
  const library = join(dir, 'synced.so')
  await writeFile(source, SHIM)
  execFileSync(compiler() ?? 'cc', ['-shared', '-fPIC', '-o', library, source, '-ldl'])
  return { LD_PRELOAD: library, SYNCED_FILE: join(dir, 'synced') }
}

async function cut(world: World): Promise<void> {
  const folder = join(world.redis.dir, 'appendonlydir')
  const name = readdirSync(folder).find((file) => file.endsWith('.incr.aof')) as string
  const [length = 0, syncs] = readFileSync(join(world.dir, 'synced'), 'utf8').split(' ').map(Number)
  world.trace('syncs', syncs)
  world.trace('bytesCut', statSync(join(folder, name)).size - length)
  await truncate(join(folder, name), length)
}
