export { decodeBody } from './decode.ts'
export {
  parseEvent,
  parseNames,
} from './event.ts'
export { identify, sha256 } from './identity.ts'
