// Which models there are: name, version and status of each. Only what Node brings.
const { HOLDFAST_URL, HOLDFAST_KEY } = process.env
const response = await fetch(`${HOLDFAST_URL}/v1/models`, { headers: { authorization: `Bearer ${HOLDFAST_KEY}` } })
if (!response.ok) throw new Error(`HTTP ${response.status}`)
const { models = [] } = await response.json()
for (const { name, version = 'N/A', status = 'unknown' } of models) {
  console.log(`Model: ${name}, Version: ${version}, Status: ${status}`)
}
