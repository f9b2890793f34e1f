import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['{apps,packages}/*/test/**/*.test.ts', '{test,chaos,deploy}/**/*.test.ts'],
    globalSetup: './packages/testkit/src/services.ts',
    reporters: ['default', './packages/testkit/src/closing-line.ts'],
    pool: 'forks',
    // More than two cores: half of the tests wait for something most of the time.
    maxWorkers: 3,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 20_000,
  },
})
