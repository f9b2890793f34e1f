import pg from 'pg'
import { insertOf, servePeer } from './app.ts'

/** B: an INSERT per request, no queue. */
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL as string, max: 20 })
await servePeer((event) => pool.query(insertOf(event)))
