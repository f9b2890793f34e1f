export { decodeBody } from './decode.ts'
export {
  parseEvent,
  parseNames,
  storedId,
} from './event.ts'
export { identify, sha256 } from './identity.ts'
