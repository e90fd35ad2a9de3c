/** Feedback: thumbs for answers, by the people who got them. */
export { openRecentRequests } from './recent-requests.ts'
export { openFeedback } from './take-feedback.ts'
export type { TakeFeedback } from './take-feedback.ts'
