/** An order: a sorted set that knows the place of each member. A treap: every operation is O(log n) on average. */

export type Order<Member> = {
  /** No two members may compare as equal. */
  add(member: Member): void
  /** It must be in the order. */
  delete(member: Member): void
  /** How many members come before it. */
  rankOf(member: Member): number
  at(rank: number): Member | undefined
  size(): number
  [Symbol.iterator](): IterableIterator<Member>
}

type Tree<Member> = Node<Member> | null
type Node<Member> = { member: Member; weight: number; size: number; left: Tree<Member>; right: Tree<Member> }

export function openOrder<Member>(compare: (a: Member, b: Member) => number): Order<Member> {
  let root: Tree<Member> = null
  let dice = 0x9e3779b9

  /** Xorshift: where a node lies in the tree depends on nothing that a client chooses. */
  function roll(): number {
    dice ^= dice << 13
    dice ^= dice >>> 17
    dice ^= dice << 5
    return dice >>> 0
  }

  function insert(tree: Tree<Member>, node: Node<Member>): Node<Member> {
    if (tree === null) return node
    if (node.weight > tree.weight) {
      const [left, right] = split(tree, node.member)
      node.left = left
      node.right = right
      return resize(node)
    }
    if (compare(node.member, tree.member) < 0) tree.left = insert(tree.left, node)
    else tree.right = insert(tree.right, node)
    return resize(tree)
  }

  /** What comes before the member, and what comes after it. */
  function split(tree: Tree<Member>, member: Member): [Tree<Member>, Tree<Member>] {
    if (tree === null) return [null, null]
    if (compare(member, tree.member) < 0) {
      const [before, after] = split(tree.left, member)
      tree.left = after
      return [before, resize(tree)]
    }
    const [before, after] = split(tree.right, member)
    tree.right = before
    return [resize(tree), after]
  }

  function cut(tree: Tree<Member>, member: Member): Tree<Member> {
    if (tree === null) throw new TypeError('what is taken out of an order must be in it')
    const side = compare(member, tree.member)
    if (side === 0) return join(tree.left, tree.right)
    if (side < 0) tree.left = cut(tree.left, member)
    else tree.right = cut(tree.right, member)
    return resize(tree)
  }

  return {
    add: member => {
      root = insert(root, { member, weight: roll(), size: 1, left: null, right: null })
    },
    delete: member => {
      root = cut(root, member)
    },
    rankOf: member => {
      let rank = 0
      let tree = root
      while (tree !== null) {
        const side = compare(member, tree.member)
        if (side > 0) rank += sizeOf(tree.left) + 1
        if (side === 0) return rank + sizeOf(tree.left)
        tree = side < 0 ? tree.left : tree.right
      }
      return rank
    },
    at: rank => {
      let tree = root
      let left = rank
      while (tree !== null) {
        const before = sizeOf(tree.left)
        if (left === before) return tree.member
        if (left < before) tree = tree.left
        else {
          left -= before + 1
          tree = tree.right
        }
      }
      return undefined
    },
    size: () => sizeOf(root),
    [Symbol.iterator]: () => walk(root),
  }
}

const sizeOf = <Member>(tree: Tree<Member>): number => (tree === null ? 0 : tree.size)

function resize<Member>(node: Node<Member>): Node<Member> {
  node.size = sizeOf(node.left) + 1 + sizeOf(node.right)
  return node
}

function join<Member>(before: Tree<Member>, after: Tree<Member>): Tree<Member> {
  if (before === null) return after
  if (after === null) return before
  if (before.weight > after.weight) {
    before.right = join(before.right, after)
    return resize(before)
  }
  after.left = join(before, after.left)
  return resize(after)
}

function* walk<Member>(tree: Tree<Member>): IterableIterator<Member> {
  const path: Node<Member>[] = []
  let here = tree
  while (here !== null || path.length > 0) {
    for (; here !== null; here = here.left) path.push(here)
    const node = path.pop()
    if (node === undefined) return
    yield node.member
    here = node.right
  }
}
