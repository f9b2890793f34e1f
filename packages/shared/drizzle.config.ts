import { defineConfig } from 'drizzle-kit'

// `drizzle-kit generate` writes the next migration from the schema; it is read and committed like code.
export default defineConfig({
  dialect: 'postgresql',
  schema: './src/db/schema.ts',
  out: './src/db/migrations',
})
