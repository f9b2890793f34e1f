import * as z from 'zod'

/** The settings of `sluice erase`, besides ARCHIVE_DIR. */
export const erasureSettings = {
  RECEIPTS_DIR: z.string().startsWith('/', 'is not an absolute path').optional(),
  BACKUP_RETENTION: z
    .string()
    .regex(/^[1-9]\d{0,4}d$/, 'is not a number of days such as 35d')
    .transform((text) => Number(text.slice(0, -1)))
    .optional(),
}
