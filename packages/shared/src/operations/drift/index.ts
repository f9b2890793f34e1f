export { lookForDrift } from './look.ts'
export { describeDrift, eventsOf } from './words.ts'
