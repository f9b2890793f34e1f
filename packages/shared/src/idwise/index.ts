export { decodeBody } from './decode.ts'
export {
  parseEvent,
  parseNames,
  storedId,
} from './event.ts'
export { identify, sha256 } from './identity.ts'
export { nextTries, REDELIVERY_SPAN_MS } from './schedule.ts'
