export { deliver } from './deliver.ts'
export { knowInstallation } from './installation.ts'
export type { Message } from './message.ts'
export { TIMES } from './notify.ts'
export { type AlertSettings, alertSettings, alertsOf } from './settings.ts'
export {
  ALERT_NAMES,
  alertText,
  GIVES_UP_SOON,
  mayGiveUpSoon,
  meaningOfRefusals,
  severityFor,
  wordsOfAlert,
} from './texts.ts'
export { createVoice, type Spoken } from './voice.ts'
export { type AlertWatch, LOOK_EVERY_MS, startAlertWatch } from './watch.ts'
