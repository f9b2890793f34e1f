export { decodeBody } from './decode.ts'
export {
  type EventDetails,
  type EventKind,
  type IdwiseEvent,
  parseEvent,
  parseNames,
  storedId,
} from './event.ts'
export { identify, sha256 } from './identity.ts'
