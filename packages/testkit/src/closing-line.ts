import type { Reporter, TestModule } from 'vitest/node'

/**
 * Prints the last line, which scripts read: `N passed, N failed`, and `, N skipped` if the machine lacks something that
 * these tests need. The line before names them. A file that cannot be loaded counts as failed.
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
    // After the summary of the default reporter.
    process.on('exit', () => {
      if (more) process.stdout.write(`\nSkipped, because this machine lacks what they need: ${names}\n`)
      process.stdout.write(`\n${passed} passed, ${failed} failed${more}\n`)
    })
  }
}
