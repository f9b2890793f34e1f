// npm run chart: writes the rules and the dashboard, then what the chart has from elsewhere, and renders it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chartFiles, RENDERED_FILE, ROOT, renderManifests } from '@sluice/testkit/chart'
import { findHelm } from '@sluice/testkit/helm'
import { dashboardText } from './observe/dashboard.ts'
import { rulesText } from './observe/rules.ts'

writeFileSync(join(ROOT, 'deploy/observe/rules.yaml'), rulesText())
writeFileSync(join(ROOT, 'deploy/observe/dashboard.json'), dashboardText())
for (const [file, text] of Object.entries(chartFiles())) writeFileSync(join(ROOT, file), text)
const helm = findHelm()
if (helm) writeFileSync(join(ROOT, RENDERED_FILE), renderManifests(helm))
else {
  process.stderr.write(
    `There is no helm for this machine: install helm 4, then run this again for ${RENDERED_FILE}.\n`,
  )
  process.exitCode = 1
}
