import type { Reporter, TestModule } from 'vitest/node'

/**
 * Prints the one line that scripts read: `N passed, N failed`, and `, N skipped` where something that these tests need
 * cannot be had; the line before names them. A file that cannot be loaded counts as failed.
 */
export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()])
    const passed = tests.filter((test) => test.ok() && test.result().state === 'passed').length
    const broken = modules.filter((module) => module.errors().length > 0).length
    const failed = tests.filter((test) => test.result().state === 'failed').length + broken + errors.length
    const skipped = tests.filter((test) => test.result().state === 'skipped')
    const names = [...new Set(skipped.map(({ fullName }) => fullName.split(' > ')[0]))].join('; ')
    const more = skipped.length > 0 ? `, ${skipped.length} skipped` : ''
    // After the default reporter's own summary.
    process.on('exit', () => {
      if (more) process.stdout.write(`\nSkipped, since what they need cannot be had here: ${names}\n`)
      process.stdout.write(`\n${passed} passed, ${failed} failed${more}\n`)
    })
  }
}
