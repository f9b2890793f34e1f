// Reacts to each decision about a journey. Run it in the clone: DATABASE_URL=… node docs/examples/listen.mjs
// While `npm start` runs: node --env-file=.sluice/env docs/examples/listen.mjs
import pg from 'pg'

// The time of the newest change that was handled. An application stores it with its own data.
let seen = new Date(0)

async function handle(client, condition, values) {
  const { rows } = await client.query(`select * from journeys where ${condition} order by updated_at`, values)
  for (const { journey_id, final_decision, needs_attention, updated_at } of rows) {
    console.log(journey_id, final_decision, needs_attention)
    if (updated_at > seen) seen = updated_at
  }
}

async function listen() {
  const client = new pg.Client(process.env.DATABASE_URL)
  // A client runs one query at a time.
  let last = Promise.resolve()
  const next = (condition, values) => {
    last = last.then(() => handle(client, condition, values))
    return last
  }
  const lost = new Promise((_, reject) => {
    client.on('error', reject)
    client.on('end', () => reject(new Error('the connection has ended')))
    client.on('notification', ({ payload }) => {
      const { environment, journeyId, changed } = JSON.parse(payload)
      if (!changed.includes('finalDecision')) return
      next('(environment, journey_id) = ($1, $2)', [environment, journeyId]).catch(reject)
    })
  })
  lost.catch(() => {})
  try {
    await client.connect()
    await client.query('listen sluice_journeys')
    // Reads what changed while nobody listened. A change may become visible some seconds after its `updated_at`.
    await next("updated_at > $1::timestamptz - interval '1 minute'", [seen])
    await lost
  } finally {
    await client.end().catch(() => {})
  }
}

for (;;) {
  await listen().catch((error) => console.error(error.message))
  await new Promise((resolve) => setTimeout(resolve, 1000))
}
