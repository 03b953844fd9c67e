// Package imagedisk turns container images into read-only squashfs files, the drives from which microVM guests run, and keeps them in a
// directory that executors of one host may share.
//
// An image becomes one archive first (flatten.go, tree.go), by these rules:
//   - A layer's whiteouts and opaque marks hide what lower layers have, whatever their place in the layer; then its entries apply in order.
//   - Names are paths below the root: a leading "/" and "." are dropped, ".." is refused. A missing parent is made as 0755, root's.
//   - A parent that is a symlink of the same layer is followed, and never out of the root. One of a lower layer, or any other
//     thing that is no directory, gives way to a new directory: what overlay file systems show when layers are unpacked one by one.
//   - Hard links share an inode from the moment of linking: what happens to one name later doesn't touch the other.
//   - Owners, modes, devices and modification times (whole seconds from 1970 to 2106) stay. So do the xattrs in the name spaces user,
//     security and trusted, except overlayfs's own, which the guest's overlay would obey; squashfs can hold no others.
//
// The archive has one form for one content, and so has the file system made of it (squashfs.go): its SHA-256 is checked before its use.
package imagedisk
