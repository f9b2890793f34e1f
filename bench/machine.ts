import { readFileSync } from 'node:fs'

/** Clock ticks a second, the unit of /proc/PID/stat. On Linux it is 100 on every architecture. */
const TICKS = 100

/** The CPU seconds of all threads of a process so far. Linux only ("proc_pid_stat(5)"). */
export function cpuSeconds(pid: number): number {
  const [user = 0, system = 0] = times(pid)
  return (user + system) / TICKS
}

/** The CPU seconds of a process, of its children that have ended, and of those that it has now. */
export function treeCpuSeconds([parent, ...children]: readonly number[]): number {
  const own = parent === undefined ? [] : times(parent)
  return children.reduce(
    (sum, pid) => sum + cpuSeconds(pid),
    own.reduce((sum, ticks) => sum + ticks, 0) / TICKS,
  )
}

/** utime, stime, cutime, cstime. */
function times(pid: number): number[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // "pid (name) state ppid …"; the name may contain anything but the last parenthesis. utime is the 14th field.
  return stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 15)
    .map(Number)
}

/** Resident memory of a process, MB. */
export function residentMegabytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kilobytes) / 1024
}

export function median(values: readonly number[]): number {
  const sorted = values.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** @param share from 0 to 1 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
