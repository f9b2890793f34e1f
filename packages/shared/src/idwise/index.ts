export {
  type Credential,
  type CredentialKind,
  parseCredentials,
} from './credentials.ts'
export { decodeBody } from './decode.ts'
export {
  ENVIRONMENTS,
  type Envelope,
  type Environment,
  encodeRaw,
  rawBytes,
  readEnvelope,
} from './envelope.ts'
export {
  type EventDetails,
  type EventKind,
  type IdwiseEvent,
  parseEvent,
  parseNames,
  storedId,
} from './event.ts'
export { type Identity, identify, sha256 } from './identity.ts'
export { foldJourney, type Journey, type JourneyEvent } from './journey.ts'
export { type TimelineEntry, tellJourney } from './timeline.ts'
