// The keys about the pages that people see: whose they are, and the applications they lead to.
import { Type } from './schema-types.js'
import { leaf, section } from './schema-parts.js'

const PICTURE = 'PNG, JPEG, WebP or SVG of at most 256 kB; relative to the configuration file.'
const UPLOADED = 'Where `policy.source` is `database`: the name of an uploaded image (PNG, JPEG or WebP).'

export const application = section('One application on the home page.', {
  host: leaf(
    'applicationHost',
    "Its host, exactly, with the port where it is not the usual one of publicUrl's scheme.",
  ),
  name: leaf('text', 'What people call it.', { maxLength: 80 }),
  icon: Type.Optional(leaf('image', `A small square picture: ${PICTURE} ${UPLOADED}`)),
})

export const brandingSection = section('What the pages look like.', {
  name: Type.Optional(
    leaf('text', 'The name above every page and in its title, in place of Gatehouse.', { maxLength: 60 }),
  ),
  logo: Type.Optional(leaf('uploadedImage', `The picture above every page. ${UPLOADED}`)),
  logoFile: Type.Optional(leaf('imageFile', `The picture above every page: ${PICTURE}`)),
  color: Type.Optional(leaf('color', 'The colour of buttons and links, `#rrggbb`; text on it stays readable.')),
})
