export {
  type Credential,
  type CredentialKind,
  parseCredentials,
} from './credentials.ts'
export { decodeBody } from './decode.ts'
export {
  type EventDetails,
  type EventKind,
  type IdwiseEvent,
  parseEvent,
  parseNames,
  storedId,
} from './event.ts'
export { type Identity, identify, sha256 } from './identity.ts'
