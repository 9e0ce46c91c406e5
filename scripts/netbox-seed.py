# Content of the NetBox that the tests run: groups, permissions, a site, a local administrator, a token.
from core.models import ObjectType
from dcim.models import Site
from users.models import Group, ObjectPermission, Token, User

view = ObjectPermission.objects.create(name='view', actions=['view'])
change = ObjectPermission.objects.create(name='change', actions=['view', 'add', 'change'])
site_type = ObjectType.objects.get(app_label='dcim', model='site')
for permission in (view, change):
    permission.object_types.add(site_type)
for name, permission in (('Read Only', view), ('Büro', view), ('Network Engineers', change), ('NetBox Superusers', view)):
    permission.groups.add(Group.objects.create(name=name))
Site.objects.create(name='Berlin', slug='berlin')
admin = User.objects.create_superuser('local-admin', 'admin@example.com', 'a-local-password')
token = Token(user=admin, version=2)
token.save()
print(f'TOKEN nbt_{token.key}.{token.token}')
