import { fakeAccessStore } from '../../src/domain/access/fake.ts'
import { accessStoreContract } from './access-store.ts'

accessStoreContract('the fake', async ({ kept }) => {
  const opened = { access: fakeAccessStore({ kept }), close: async () => {} }
  return { ...opened, beside: async () => opened }
})
