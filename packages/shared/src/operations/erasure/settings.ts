import { days, folder } from '../../runtime/index.ts'

/** The settings of `sluice erase`, besides ARCHIVE_DIR. */
export const erasureSettings = { RECEIPTS_DIR: folder, BACKUP_RETENTION: days('35d') }
