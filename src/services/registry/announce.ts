/** How long a prune counts as running after it announced itself; it stops by itself after half of that. */
export const announcedMs = 3_600_000
