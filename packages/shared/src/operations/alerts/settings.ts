import * as z from 'zod'
import { type Channel, parseChannels, problemOfUrl } from './channels.ts'

/** Where people are told, and the address that hears each minute that all is well. */
export type AlertSettings = { readonly channels: readonly Channel[]; readonly heartbeat: string | undefined }

/** The settings of alerts. Problems name the position of a channel, never its text, which holds secrets. */
export const alertSettings = {
  ALERTS: z
    .string()
    .transform((text, context) => {
      const { channels, problems } = parseChannels(text)
      for (const message of problems) context.issues.push({ code: 'custom', message, input: undefined })
      return problems.length > 0 ? z.NEVER : channels
    })
    .meta({ fromFile: true })
    .optional(),
  ALERTS_HEARTBEAT_URL: z
    .string()
    .superRefine((text, context) => {
      const message = problemOfUrl(text)
      if (message) context.addIssue({ code: 'custom', message })
    })
    .meta({ fromFile: true })
    .optional(),
}

export function alertsOf(settings: z.output<z.ZodObject<typeof alertSettings>>): AlertSettings {
  return { channels: settings.ALERTS ?? [], heartbeat: settings.ALERTS_HEARTBEAT_URL }
}
