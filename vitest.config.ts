import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{apps,packages}/*/test/**/*.test.ts', '{test,chaos}/**/*.test.ts'],
    globalSetup: './packages/testkit/src/services.ts',
    reporters: ['default', './packages/testkit/src/closing-line.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
  },
})
