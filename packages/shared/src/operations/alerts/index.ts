export { conditionsOf, storageConditions } from './conditions.ts'
export { deliver } from './deliver.ts'
export { startHeartbeat } from './heartbeat.ts'
export type { Message } from './message.ts'
export { noteConditions, sendDue } from './notify.ts'
export { type AlertSettings, alertSettings, alertsOf } from './settings.ts'
export {
  alertText,
  meaningOfRefusals,
  recoveryText,
  severityOfRefusals,
  sourcesInWords,
} from './texts.ts'
export { createVoice, type Spoken } from './voice.ts'
